"""Files of sensors: what their pixels are (degrees, Hounsfield units, counts), and what stands beside them."""
